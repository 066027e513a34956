/* Decides about carriers by the key of their sign-in and the TLS connection that it signed for. */
#include "policy/binding.h"

#include <string.h>

cpn_binding_rule
cpn_binding_rule_of(const char *word)
{
    if (strcmp(word, "require") == 0)
        return CPN_BINDING_REQUIRE;
    return strcmp(word, "prefer") == 0 ? CPN_BINDING_PREFER : CPN_BINDING_NOBODY;
}

cpn_reason
cpn_binding_decide(cpn_binding_rule rule, bool has_key, cpn_held held, cpn_binding *out)
{
    *out = CPN_BINDING_NONE;
    if (has_key && held != CPN_HELD_ELSEWHERE && held != CPN_HELD_HERE)
        return CPN_WHY_KEY_PROOF;
    if (rule != CPN_BINDING_PREFER && rule != CPN_BINDING_REQUIRE)
        return CPN_WHY_INTERNAL;
    if (has_key && held == CPN_HELD_HERE) {
        *out = CPN_BINDING_EXPORTER;
        return CPN_WHY_NONE;
    }
    if (rule == CPN_BINDING_PREFER)
        return CPN_WHY_NONE;
    return has_key ? CPN_WHY_TLS_OPENED : CPN_WHY_KEY_MISSING;
}

const char *
cpn_binding_word(cpn_binding b)
{
    return b == CPN_BINDING_EXPORTER ? "exporter" : "none";
}

cpn_binding
cpn_binding_of(const char *word)
{
    return strcmp(word, "exporter") == 0 ? CPN_BINDING_EXPORTER : CPN_BINDING_NONE;
}
