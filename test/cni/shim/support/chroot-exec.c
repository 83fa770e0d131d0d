/* chroot-exec ROOT COMMAND ARGUMENT...: as Go's SysProcAttr{Chroot} and so a thick Multus does it, chroot(2) without
 * chdir(2): the working directory stays outside the new root. */
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc < 3 || chroot(argv[1])) return perror("chroot"), 98;
  execv(argv[2], argv + 2);
  return perror(argv[2]), 99;
}
