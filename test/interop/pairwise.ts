// Cases in which every pair of values of two factors occurs, far fewer than all combinations.

/** Factors by name, each with its values. */
export type Factors = Record<string, readonly string[]>;

export type Case<F extends Factors> = { readonly [Name in keyof F]: F[Name][number] };

/** Greedy and deterministic: each case covers as many uncovered pairs as it finds, beginning from an uncovered one. */
export function pairwise<F extends Factors>(factors: F): readonly Case<F>[] {
  const names = Object.keys(factors);
  const key = (a: string, x: string, b: string, y: string) => `${a}=${x}&${b}=${y}`;
  const uncovered = new Map<string, Record<string, string>>();
  names.forEach((a, index) => {
    for (const b of names.slice(index + 1)) {
      for (const x of factors[a] ?? []) {
        for (const y of factors[b] ?? []) uncovered.set(key(a, x, b, y), { [a]: x, [b]: y });
      }
    }
  });
  const pairsOf = (chosen: Record<string, string>, name: string, value: string) =>
    names
      .filter((other) => other !== name && chosen[other] !== undefined)
      .map((other) =>
        names.indexOf(other) < names.indexOf(name)
          ? key(other, chosen[other] ?? '', name, value)
          : key(name, value, other, chosen[other] ?? ''),
      );
  const cases: Case<F>[] = [];
  for (let seed = uncovered.values().next().value; seed; seed = uncovered.values().next().value) {
    const chosen: Record<string, string> = { ...seed };
    for (const name of names.filter((each) => !(each in seed))) {
      const gain = (value: string) => pairsOf(chosen, name, value).filter((pair) => uncovered.has(pair)).length;
      const values = factors[name] ?? [];
      // Equal gains go round the values, so that none is preferred.
      const turned = values.map((_, index) => values[(index + cases.length) % values.length] ?? '');
      chosen[name] = turned.reduce((best, value) => (gain(value) > gain(best) ? value : best));
    }
    for (const name of names) {
      for (const pair of pairsOf(chosen, name, chosen[name] ?? '')) uncovered.delete(pair);
    }
    cases.push(chosen as Case<F>);
  }
  return cases;
}
