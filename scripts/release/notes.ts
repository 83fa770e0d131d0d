// notes.ts CHANGELOG: prints the release notes of package.json's version.
import { readFileSync } from "node:fs";

/**
 * The section of a version in a changelog as keepachangelog.com has it: under `## [1.2.3]`, also with a date. Pure.
 *
 * @throws {Error} when there is none, or nothing in it.
 */
export function notesOf(changelog: string, version: string): string {
  const sections = changelog.split(/^(?=## )/m).filter((text) => text.startsWith("## "));
  const isOurs = (text: string) => /^## \[?([^\]\s]+)/.exec(text)?.[1] === version;
  const section = sections.find(isOurs);
  const fix = `give CHANGELOG.md a section "## [${version}]" that says what changes for users`;
  if (!section) throw new Error(`cannot make release notes: CHANGELOG.md has no section of version ${version}; ${fix}`);
  const text = section.replace(/^.*\n?/, "").trim();
  if (!text) throw new Error(`cannot make release notes: the section of ${version} in CHANGELOG.md is empty; ${fix}`);
  return `# Railnet ${version}\n\n${text}\n`;
}

/** @throws {Error} as {@link notesOf}, and when there is no such file. */
export function readNotes(path: string, version: string): string {
  let changelog: string;
  try {
    changelog = readFileSync(path, "utf8");
  } catch (cause) {
    throw new Error(`cannot make release notes: ${(cause as Error).message}`, { cause });
  }
  return notesOf(changelog, version);
}

export const readVersion = (): string =>
  JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")).version;

if (import.meta.main) {
  try {
    console.log(readNotes(process.argv[2] ?? "CHANGELOG.md", readVersion()));
  } catch (error) {
    console.error(`release: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
