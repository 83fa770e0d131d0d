/** The result of one check: `wrong` says what to do; a `note` may be intended. */
export interface DoctorFinding {
  readonly check: string;
  readonly is: "ok" | "note" | "wrong";
  readonly says: string;
}

/** Checks one thing, and changes nothing. */
export type Check = () => readonly DoctorFinding[] | Promise<readonly DoctorFinding[]>;

type Words = Pick<DoctorFinding, "is" | "says">;
const ok = (says: string): Words => ({ is: "ok", says });
export const note = (says: string): Words => ({ is: "note", says });
export const wrong = (says: string): Words => ({ is: "wrong", says });

/** The findings of one check under its name; `well` if there are none. */
export const named = (check: string, findings: readonly Words[], well: string): DoctorFinding[] =>
  (findings.length > 0 ? findings : [ok(well)]).map((one) => ({ check, ...one }));
