/* Loops for ever without a system call. */
int main(void) {
  for (;;) __asm__ volatile("");
}
