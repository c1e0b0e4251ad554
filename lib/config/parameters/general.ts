/** What every program shares: names, networks, directories, limits. */
import { INSTALLATION } from '../installation.ts';
import { bool, int, list, maps, seconds, size, text } from '../kind.ts';

export const generalParameters = {
  address_verify_negative_cache: bool('yes'),
  alternate_config_directories: list(''),
  backwards_bounce_logfile_compatibility: bool('yes'),
  command_directory: text(INSTALLATION.commands, { min: 1 }),
  compatibility_level: text('0'),
  config_directory: text('', { min: 1 }), // the directory in use
  daemon_directory: text(INSTALLATION.daemons, { min: 1 }),
  data_directory: text('/var/lib/postfix', { min: 1 }),
  debug_peer_level: int('2', { min: 1 }),
  debug_peer_list: list(''),
  default_delivery_status_filter: maps(''),
  default_verp_delimiters: text('+=', { min: 2, max: 2 }),
  delay_logging_resolution_limit: int('2', { min: 0, max: 6 }),
  disable_dns_lookups: bool('no'),
  dns_ncache_ttl_fix_enable: bool('no'),
  dnssec_probe: text('ns:.'),
  dont_remove: int('0'),
  double_bounce_sender: text('double-bounce', { min: 1 }),
  enable_long_queue_ids: bool('no'),
  enable_original_recipient: bool('yes'),
  fast_flush_domains: list('$relay_domains'),
  fault_injection_code: int('0'),
  hash_queue_depth: int('1', { min: 1 }),
  hash_queue_names: list('deferred, defer', { min: 1 }),
  helpful_warnings: bool('yes'),
  in_flow_delay: seconds('1s', { min: 0, max: 10 }),
  inet_interfaces: list('all'),
  inet_protocols: list('all'),
  internal_mail_filter_classes: list(''),
  mail_name: text('Postfix', { min: 1 }),
  mail_release_date: text('20240304', { min: 1 }),
  mail_version: text('3.7.11', { min: 1 }),
  message_size_limit: size('10240000'),
  meta_directory: text('/etc/postfix', { min: 1 }),
  mydestination: list('$myhostname, localhost.$mydomain, localhost'),
  mydomain: text('', { min: 1 }), // what follows the first dot of myhostname
  myhostname: text('', { min: 1 }), // this machine's name: machine.ts
  mynetworks: list(''), // by mynetworks_style: networks.ts
  mynetworks_style: text('${{$compatibility_level} <level {2} ? {subnet} : {host}}', { min: 1 }),
  myorigin: text('$myhostname', { min: 1 }),
  owner_request_special: bool('yes'),
  parent_domain_matches_subdomains: list(
    'debug_peer_list,fast_flush_domains,mynetworks,permit_mx_backup_networks,qmqpd_authorized_clients,relay_domains,smtpd_access_maps',
  ),
  process_id: int('0'), // of this process
  process_id_directory: text('pid', { min: 1 }),
  process_name: text(''), // of this process
  queue_directory: text('/var/spool/postfix', { min: 1 }),
  recipient_delimiter: text(''),
  relay_domains: list('${{$compatibility_level} <level {2} ? {$mydestination} : {}}'),
  relayhost: text(''),
  respectful_logging: bool('${{$compatibility_level} <level {3.6} ? {no} : {yes}}'),
  service_name: text(''), // of this process, from master.cf
  shlib_directory: text('/usr/lib/postfix', { min: 1 }),
  soft_bounce: bool('no'),
  verp_delimiter_filter: text('-=+', { min: 1 }),
};
