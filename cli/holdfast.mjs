#!/usr/bin/env node
/** The command `holdfast`: finds a Node that can run it, and runs it there. */
import { launch } from './launch.mjs';

await launch(new URL('./main.ts', import.meta.url));
