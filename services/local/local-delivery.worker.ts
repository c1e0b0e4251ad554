/** A thread of local(8): file work as a recipient. */
import { doFileWork, type WorkDone, type WorkStep } from '../../lib/delivery/file-work.ts';
import { type Step, type StepResult, takeStep } from './steps.ts';

export default function work(steps: readonly WorkStep<Step>[]): WorkDone<StepResult> {
  try {
    return doFileWork(steps, takeStep);
  } catch {
    // The identity could not be given back. This ends the thread, not the process.
    process.exit(1);
  }
}
