/** A signed build that ends at once, whatever it is told. */
process.stderr.write('this build crashes\n');
process.exit(70);
