import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BUILTIN_TEMPLATES } from '../../../lib/dsn/builtin-templates.ts';
import { expandTemplate, TemplateError } from '../../../lib/dsn/template.ts';
import { parseTemplateFile } from '../../../lib/dsn/template-file.ts';

const TIMES = {
  bounce_queue_lifetime: 432_000,
  delay_warning_time: 5400,
  maximal_queue_lifetime: 432_000,
};
const lookup = (name: string) => ({ myhostname: 'mx.lab.test', empty: '' })[name];

const block = (...lines: string[]) => `failure_template = <<EOF\n${lines.join('\n')}\nEOF\n`;

test('a template is headers, an empty line, and text', () => {
  const file = `# ours\n\n${block('Charset: utf-8', 'From: me', 'Subject: Sorry', 'Postmaster-Subject: Look', '', 'ré', '', ' x')}`;
  const { templates, warnings } = parseTemplateFile(file, 't.cf');
  assert.deepEqual(warnings, []);
  assert.deepEqual(templates.failure, {
    name: 'failure',
    origin: 't.cf',
    charset: 'utf-8',
    from: 'me',
    subject: 'Sorry',
    postmasterSubject: 'Look',
    text: ['ré', '', ' x'],
  });
  assert.equal(templates.delay, BUILTIN_TEMPLATES.delay);
});

test('what a template does not say is as built in', () => {
  const { failure } = parseTemplateFile(block('only text'), 't.cf').templates;
  assert.equal(failure.subject, 'Undelivered Mail Returned to Sender');
  assert.deepEqual(failure.text, ['only text']);
});

/** The warnings of real Postfix. */
for (const [file, warning] of [
  ['failure_template = <<EOF\nx\n', 't.cf, line 3: missing "EOF" end marker'],
  [
    block('Bar: x', '', 'y'),
    't.cf: unknown "Bar" header label in failure template -- ignoring this template',
  ],
  [
    block('Subject: é', '', 'y'),
    't.cf: non-ASCII "Subject" header value in failure template -- ignoring this template',
  ],
  [block(''), 't.cf: missing message text in failure template -- ignoring this template'],
  [block('', 'é'), 't.cf: 8-bit message text in failure template'],
  [
    'odd_template = <<E\nx\nE\n',
    't.cf, line 4: unknown template name: odd_template -- ignoring this template',
  ],
] as const) {
  test(warning, () => {
    const { warnings, templates } = parseTemplateFile(file, 't.cf');
    assert.equal(warnings[0], warning);
    if (!warning.includes('marker')) assert.equal(templates.failure, BUILTIN_TEMPLATES.failure);
  });
}

test('a line that is no assignment is fatal', () => {
  assert.throws(
    () => parseTemplateFile('garbage line\n', 't.cf'),
    new TemplateError(`t.cf, line 2: missing '=' after attribute name: "garbage line"`),
  );
});

test('names are filled in, times in the unit that is asked for', () => {
  const text = [
    '$myhostname ${empty?x}${empty:y} $$5',
    '$delay_warning_time_hours $maximal_queue_lifetime_days',
  ];
  const { lines, warnings } = expandTemplate({ ...BUILTIN_TEMPLATES.delay, text }, TIMES, lookup);
  assert.deepEqual(lines, ['mx.lab.test y $5', '1 5']);
  assert.deepEqual(warnings, []);
});

test('a time that comes out as zero is worth a warning', () => {
  const text = ['$delay_warning_time_days'];
  const { lines, warnings } = expandTemplate({ ...BUILTIN_TEMPLATES.delay, text }, TIMES, lookup);
  assert.deepEqual(lines, ['0']);
  assert.equal(
    warnings[0],
    '[built-in]: zero result in delay template conversion of parameter "delay_warning_time_days"',
  );
});

for (const [text, message] of [
  ['a $nosuch', '[built-in]: undefined $name in failure template: a $nosuch'],
  ['a $', '[built-in]: bad $name syntax in failure template: a $'],
  [
    '$delay_warning_time_years',
    '[built-in]: unrecognized suffix "years" in parameter "delay_warning_time_years"',
  ],
] as const) {
  test(message, () => {
    const template = { ...BUILTIN_TEMPLATES.failure, text: [text] };
    assert.throws(() => expandTemplate(template, TIMES, lookup), new TemplateError(message));
  });
}

test('the built-in templates can be filled in, and say which machine they are from', () => {
  for (const template of Object.values(BUILTIN_TEMPLATES)) {
    const { lines, warnings } = expandTemplate(template, TIMES, lookup);
    assert.equal(lines[0], 'This is the mail system at host mx.lab.test.');
    assert.deepEqual(warnings, []);
  }
});
