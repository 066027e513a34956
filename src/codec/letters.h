/* codec/letters.h -- names in any script: UTF-8, and one spelling of each.
 *
 * Characters outside ASCII that a name may hold are letters, digits and the marks of their scripts
 * (Unicode categories L, Nd, Mn, Mc) in normalisation form C. What could join the character before
 * it is refused, and so is a second mark that the order of marks concerns: what is left is in NFC
 * without being normalised (UAX 15). No invisible fillers, no spaces, no symbols. */
#ifndef CPN_CODEC_LETTERS_H
#define CPN_CODEC_LETTERS_H

#include "base/view.h"

typedef struct cpn_letter_range {
    unsigned first, last;
} cpn_letter_range;

/* letters_table.c, rising. Letters: combining class 0; marks: any other. */
extern const unsigned cpn_letters_n, cpn_letter_marks_n;
extern const cpn_letter_range cpn_letters[], cpn_letter_marks[];

/* ASCII letters and digits, the ASCII characters of `also`, and letters as above; at most max
 * characters, and not empty. */
bool cpn_is_letters(cpn_view v, const char *also, size_t max);

#endif
