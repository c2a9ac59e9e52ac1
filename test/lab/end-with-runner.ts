// Loaded before each test file: a process that runs tests ends when the runner that started it is gone, and does not
// go on by itself for as long as its tests take.

process.once('disconnect', () => process.exit(1));
