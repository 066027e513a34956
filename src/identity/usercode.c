/* Makes and reads the codes that people copy from one screen to another. */
#include "identity/usercode.h"

#include "base/secret.h"

#define LETTERS 20
#define TYPED_MAX 32

void
cpn_user_code_new(char out[CPN_USER_CODE])
{
    static const char letters[] = CPN_USER_CODE_LETTERS;

    for (size_t i = 0; i < CPN_USER_CODE - 1; i++) {
        uint8_t r;

        do /* 240 = 12 × 20: no letter is likelier than another */
            cpn_random(&r, 1);
        while (r >= 240);
        out[i] = i == 4 ? '-' : letters[r % LETTERS];
    }
    out[CPN_USER_CODE - 1] = '\0';
}

bool
cpn_user_code_read(cpn_view typed, char out[CPN_USER_CODE])
{
    size_t n = 0;

    out[0] = '\0';
    if (typed.n > TYPED_MAX)
        return false;
    for (size_t i = 0; i < typed.n; i++) {
        char c = (char)typed.p[i];

        if (c == ' ' || c == '-' || c == '\t')
            continue;
        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        if (!c || !strchr(CPN_USER_CODE_LETTERS, c) || n >= CPN_USER_CODE - 1) {
            out[0] = '\0';
            return false;
        }
        if (n == 4)
            out[n++] = '-';
        out[n++] = c;
    }
    out[n == CPN_USER_CODE - 1 ? n : 0] = '\0';
    return n == CPN_USER_CODE - 1;
}
