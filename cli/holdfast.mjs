#!/usr/bin/env node
/** The command `holdfast` of a checkout. `up` is a server, so it goes through the startup gate; other verbs run unbuilt. */
import { launchVerified } from '../build/launch.mjs';
import { launch } from './launch.mjs';

if (process.argv.includes('up')) await launchVerified(import.meta.url, 'server/holdfast.mjs');
else await launch(new URL('./main.ts', import.meta.url));
