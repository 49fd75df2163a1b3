/* SPDX-License-Identifier: Apache-2.0 */
/* The loops of Kernels.java, as C compiles them; AgainstC builds and calls them. */

long chase(long from, int loads) {
  for (int i = 0; i < loads; i++) {
    from = *(long *)from;
  }
  return from;
}

/* One word of each line, in four streams. */
long read_lines(long address, long bytes) {
  long part = bytes / 4 / 64 * 64;
  const char *first = (const char *)address;
  long a = 0, b = 0, c = 0, d = 0;
  for (long at = 0; at < part; at += 64) {
    a += *(const long *)(first + at);
    b += *(const long *)(first + part + at);
    c += *(const long *)(first + 2 * part + at);
    d += *(const long *)(first + 3 * part + at);
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
