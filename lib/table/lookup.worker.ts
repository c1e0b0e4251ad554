/** A thread that lookups are left to which may take long. */
import { LookupWork, type Reply, type Task } from './lookup-work.ts';

const work = new LookupWork();

export default function answer(task: Task): Promise<readonly Reply[]> {
  return work.do(task);
}
