/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * Reads an enum constant by its name in lower case, the way this command line spells all words.
 *
 * @param <E> the enum
 */
final class EnumWord<E extends Enum<E>> implements ITypeConverter<E> {
  private final E[] constants;

  /**
   * Makes a reader.
   *
   * @param type the enum
   */
  EnumWord(Class<E> type) {
    this.constants = type.getEnumConstants();
  }

  /**
   * Returns a constant's word.
   *
   * @param constant the constant
   * @return its name in lower case
   */
  static String of(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT);
  }

  @Override
  public E convert(String word) {
    for (E constant : constants) {
      if (of(constant).equals(word)) {
        return constant;
      }
    }
    throw new TypeConversionException(
        "'"
            + word
            + "' is none of "
            + Arrays.stream(constants).map(EnumWord::of).collect(Collectors.joining(", ")));
  }
}
