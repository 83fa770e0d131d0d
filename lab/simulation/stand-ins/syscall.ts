// In the place of the kernel's syscall.ts: flock(2) on the simulated disk, under the product's own locks.
import { changing, closing, here } from "../disk/here.ts";

export class Fd implements Disposable {
  readonly n: number;

  private constructor(n: number) {
    this.n = n;
  }

  static open(path: string, flags: string): Fd {
    return new Fd(changing(`open ${path}`).openFile(path, flags, here().actor));
  }

  flock(_: { exclusive: boolean; wait: boolean }): boolean {
    const file = here().disk.open.get(this.n)!;
    const inode = file.inode!;
    if (inode.lockedBy && inode.lockedBy !== file) return false;
    inode.lockedBy = file;
    return true;
  }

  [Symbol.dispose](): void {
    closing(this.n);
  }
}

export class SyscallError extends Error {
  readonly code = "";
}
