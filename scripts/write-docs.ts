// `npm run docs`: writes what is made from the option table. A test holds the files to it.

import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { commandPage } from './command-page.ts';
import { compatibilityText } from './compatibility.ts';
import { manPage } from './man-page.ts';
import { withNotYet } from './not-yet.ts';
import { formatHistory, HISTORY_FILE, historyNow, readHistory, versionAtWork } from './option-history.ts';
import { servicePage } from './service-page.ts';

/** The files and what belongs in them, by their paths from the root of the repository. */
export function writtenDocs(root: URL): Readonly<Record<string, string>> {
  const changelog = readFileSync(new URL('CHANGELOG.md', root), 'utf8');
  const history = historyNow(readHistory(root), versionAtWork(changelog));
  return {
    [HISTORY_FILE]: formatHistory(history),
    'docs/COMPATIBILITY.md': compatibilityText(history),
    'docs/sallyport.1': commandPage(),
    'docs/sallyport.8': manPage(),
    'docs/sallyport-nm-service.8': servicePage(),
    'README.md': withNotYet(readFileSync(new URL('README.md', root), 'utf8')),
  };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const root = new URL('..', import.meta.url);
  for (const [path, text] of Object.entries(writtenDocs(root))) writeFileSync(new URL(path, root), text);
}
