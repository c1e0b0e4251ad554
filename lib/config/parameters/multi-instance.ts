/** postmulti(1): several instances on one machine. */
import { bool, list, text } from '../kind.ts';

export const multiInstanceParameters = {
  multi_instance_directories: list(''),
  multi_instance_enable: bool('no'),
  multi_instance_group: text(''),
  multi_instance_name: text(''),
  multi_instance_wrapper: list(''),
  postmulti_control_commands: list('reload flush'),
  postmulti_start_commands: list('start'),
  postmulti_stop_commands: list('stop abort drain quick-stop'),
};
