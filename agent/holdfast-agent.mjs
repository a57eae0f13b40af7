#!/usr/bin/env node
/** The command `holdfast-agent`: finds a Node that can run the agent, and runs it there. */
import { launch } from '../cli/launch.mjs';

await launch(new URL('./main.ts', import.meta.url));
