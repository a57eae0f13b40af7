#!/usr/bin/env node
/** The command `holdfast-agent` of a checkout: the agent, through its startup gate. */
import { launchVerified } from '../build/launch.mjs';

await launchVerified(import.meta.url, 'agent/holdfast-agent.mjs');
