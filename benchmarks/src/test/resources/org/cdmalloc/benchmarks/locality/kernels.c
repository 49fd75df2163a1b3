/* SPDX-License-Identifier: Apache-2.0 */
/* The loops of Kernels.java, as C compiles them; AgainstC builds and calls them. */

long chase(long from, int loads) {
  for (int i = 0; i < loads; i++) {
    from = *(long *)from;
  }
  return from;
}

/* One word of each line. */
long read_lines(long address, long bytes) {
  long a = 0, b = 0, c = 0, d = 0;
  for (const char *at = (const char *)address; at != (const char *)address + bytes; at += 256) {
    a += *(const long *)at;
    b += *(const long *)(at + 64);
    c += *(const long *)(at + 128);
    d += *(const long *)(at + 192);
  }
  return a + b + c + d;
}

long write_words(long address, long bytes) {
  long *to = (long *)address;
  for (long i = 0; i < bytes / 8; i++) {
    to[i] = i;
  }
  return to[0];
}

long copy_half(long address, long bytes) {
  long half = bytes / 2 / 32768 * 32768;
  const long *restrict from = (const long *)address;
  long *restrict to = (long *)(address + half);
  for (long i = 0; i < half / 8; i++) {
    to[i] = from[i];
  }
  return to[0];
}

double triad(long address, long bytes) {
  long part = bytes / 3 / 64 * 64;
  double *restrict a = (double *)address;
  const double *restrict b = (const double *)(address + part);
  const double *restrict c = (const double *)(address + 2 * part);
  for (long i = 0; i < part / 8; i++) {
    a[i] = b[i] + 3 * c[i];
  }
  return a[0];
}
