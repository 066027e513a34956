/* identity/usercode.h -- the code that a person copies from a device (RFC 8628 6.1): eight letters
 * without vowels, so that they spell nothing, shown as XXXX-XXXX. 20^8 of them (34 bits); guessing
 * is bounded by penalties and by their short life. */
#ifndef CPN_IDENTITY_USERCODE_H
#define CPN_IDENTITY_USERCODE_H

#include <stdbool.h>

#include "base/view.h"

#define CPN_USER_CODE_LETTERS "BCDFGHJKLMNPQRSTVWXZ"
#define CPN_USER_CODE 10 /* "XXXX-XXXX", terminated */

void cpn_user_code_new(char out[CPN_USER_CODE]);
/* As a person types it: either case, spaces and dashes anywhere, at most 32 bytes. False: not eight
 * of these letters; out is empty. */
bool cpn_user_code_read(cpn_view typed, char out[CPN_USER_CODE]);

#endif
