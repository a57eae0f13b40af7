/**
 * Where an emulator differs from what AWS documents. The documentation wins: the adapter follows it, and the test is
 * left out on that emulator, by name and with the reason, which the runner prints.
 */
export const differences = [
  {
    emulator: 'ministack',
    file: 'store.aws.ts',
    test: 'a transaction over 4 MiB in all is refused',
    why: 'AWS limits the aggregate size of the items to 4 MB; ministack counts the request as JSON, with bytes in base64',
  },
  {
    emulator: 'moto',
    file: 'store.aws.ts',
    test: 'a transaction over 4 MiB in all is refused',
    why: 'moto counts bytes in base64',
  },
  {
    emulator: 'moto',
    file: 'store.aws.ts',
    test: 'an item of exactly 400 KiB fits, one byte more does not, also when an update makes it',
    why: 'moto counts bytes in base64',
  },
  {
    emulator: 'moto',
    file: 'store.aws.ts',
    test: 'each condition holds exactly when it should, on every kind of write',
    why: 'on AWS a comparison of two types is false; moto answers it with 500',
  },
  {
    emulator: 'moto',
    file: 'store.aws.ts',
    test: 'sequences of transactions give the outcomes and the items of the model',
    why: 'on AWS a comparison of two types is false; moto answers it with 500',
  },
  {
    emulator: 'moto',
    file: 'store.aws.ts',
    test: 'adding to what is not a number is refused',
    why: 'AWS gives the reason ConditionalCheckFailed with the item; moto compares text with numbers and gives none',
  },
  {
    emulator: 'moto',
    file: 'store.aws.ts',
    test: 'a refused transaction and a check leave no change',
    why: 'on AWS a refused transaction leaves no trace; moto puts a copy of the table back, which iterators do not follow',
  },
  {
    emulator: 'moto',
    file: 'store.aws.ts',
    test: 'of 200 claims of one key at once, exactly one wins, and its value stands',
    why: 'moto accepts too few connections at once for this one',
  },
];
