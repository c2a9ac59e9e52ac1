// The last lines of `npm test`: which cases failed, which passed at their second try only, which were skipped by suite,
// and one line of counts.

import { readFileSync } from 'node:fs';

/** More than these are no chance. */
const MOST_SECOND_TRIES = 4;
/** Of a first try that failed, so many lines are enough to know why. */
const FAILURE_LINES_MAX = 30;

const [reportPath, vitestCode] = process.argv.slice(2);
const report = readReport();
const skipped = new Map();
let passed = 0;
let failed = 0;
let secondTries = 0;
for (const file of report.testResults) {
  // A file that could not be loaded has no cases, and is a failure all the same.
  if (file.status === 'failed' && file.assertionResults.length === 0) {
    failed += 1;
    console.log(`failed: ${file.name}: ${file.message}`);
  }
  for (const test of file.assertionResults) {
    if (test.status === 'passed') {
      passed += 1;
      if ((test.meta?.tries ?? 1) > 1) {
        secondTries += 1;
        console.log(`passed at the second try: ${test.fullName}: ${firstFailure(test.failureMessages[0] ?? '')}`);
      }
    } else if (test.status === 'failed') {
      failed += 1;
      console.log(`failed: ${test.fullName}`);
    } else skipped.set(file.name, (skipped.get(file.name) ?? 0) + 1);
  }
}
for (const [file, count] of skipped) console.log(`skipped: ${count} in ${file.replace(`${process.cwd()}/`, '')}`);
const skippedCount = [...skipped.values()].reduce((sum, count) => sum + count, 0);
const strict = process.env.CI === 'true' && skippedCount > 0;
if (strict) console.log('CI=true: a skipped case is a failure');
const unsteady = secondTries > MOST_SECOND_TRIES;
if (unsteady) console.log(`more than ${MOST_SECOND_TRIES} cases needed a second try: a failure`);
const atSecondTry = secondTries === 0 ? '' : ` (${secondTries} at the second try)`;
console.log(`${passed} passed${atSecondTry}, ${failed} failed, ${skippedCount} skipped`);
process.exitCode = failed > 0 || unsteady || vitestCode !== '0' || passed === 0 || strict ? 1 : 0;

/** What it says, without where it was thrown: its beginning, and of a long one the end too. */
function firstFailure(message) {
  const lines = message.replace(/\n {4}at .*$/s, '').split('\n');
  const kept = lines.length > FAILURE_LINES_MAX ? [lines[0], '…', ...lines.slice(-FAILURE_LINES_MAX)] : lines;
  return kept.join('\n    ');
}

function readReport() {
  try {
    return JSON.parse(readFileSync(reportPath, 'utf8'));
  } catch {
    return { testResults: [] };
  }
}
