# Sourced by the other scripts: what a fresh clone needs before anything of it can run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

# Dependencies, where they are missing or older than the lock file. A linked node_modules belongs to another checkout,
# and npm would empty it: it is used as it is.
need_dependencies() {
  command -v node >/dev/null || { echo "Node.js 20 or newer is needed: https://nodejs.org" >&2; exit 1; }
  [[ -L node_modules ]] && return
  if [[ ! -d node_modules || package-lock.json -nt node_modules/.package-lock.json ]]; then
    echo "installing dependencies (npm ci)"
    npm ci --silent
  fi
}

# The build, where it is missing or older than a source file.
need_build() {
  if [[ ! -e dist/bin/sallyport.js || -n $(find src apps assembly package.json tsconfig*.json scripts/build*.mjs -newer dist/bin/sallyport.js -print -quit) ]]; then
    echo "building (npm run build)"
    npm run --silent build
  fi
}
