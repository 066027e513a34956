/* The body of POST /v1/host-keys: a key that is taken from it is one line of two plain words, and
 * is taken again as itself. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "codec/hostkey.h"
#include "codec/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void
check(cpn_view text)
{
    char line[CPN_HOSTKEY_MAX + 1];
    cpn_hostkey k, again;

    if (cpn_hostkey_parse(&k, text, NULL) != CPN_OK) {
        assert(!k.type.p && !k.base64.p && !k.print[0]);
        return;
    }
    assert(text.n <= CPN_HOSTKEY_MAX && k.type.n + 1 + k.base64.n <= text.n);
    snprintf(line, sizeof(line), "%.*s %.*s", CPN_VIEW_ARG(k.type), CPN_VIEW_ARG(k.base64));
    assert(strlen(line) == k.type.n + 1 + k.base64.n && !strpbrk(line, "\n\r\t*,@!|'\"`$"));
    assert(cpn_hostkey_parse(&again, cpn_view_str(line), NULL) == CPN_OK);
    assert(strcmp(k.print, again.print) == 0 && strlen(k.print) == strlen("SHA256:") + 43);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const char *const names[] = { "scope", "key", NULL };
    cpn_view in = { bytes, size };
    const char *scope, *key;
    json_t *body = NULL;

    check(in);
    if (cpn_json_load_object(&body, in, 65536, 16, NULL) == CPN_OK &&
        cpn_json_only(body, "", names, NULL) == CPN_OK &&
        cpn_json_get_str(body, "", "scope", 2048, &scope, NULL) == CPN_OK &&
        cpn_json_get_str(body, "", "key", CPN_HOSTKEY_MAX, &key, NULL) == CPN_OK)
        check(cpn_view_str(key));
    json_decref(body);
    return 0;
}
