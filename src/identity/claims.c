/* Reads claims by type and value. */
#include "identity/claims.h"

#include <stdint.h>
#include <string.h>

bool
cpn_claim_is(const json_t *claims, const char *name, const char *want)
{
    const char *s = json_string_value(json_object_get(claims, name));

    return s && strcmp(s, want) == 0;
}

bool
cpn_claim_time(const json_t *claims, const char *name, int64_t *out)
{
    const json_t *v = json_object_get(claims, name);

    *out = json_integer_value(v);
    return json_is_integer(v) && *out > 0 && *out < INT64_MAX / 4;
}

bool
cpn_claim_audience(const json_t *claims, const char *want)
{
    const json_t *aud = json_object_get(claims, "aud");

    if (json_is_array(aud))
        aud = json_array_size(aud) == 1 ? json_array_get(aud, 0) : NULL;
    return json_is_string(aud) && strcmp(json_string_value(aud), want) == 0;
}
