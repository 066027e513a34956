/* Any text as a resource id: parts lie inside the text, and put together again they are the text.
 */
#include <stdlib.h>

#include "model/resource.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static size_t
inside(cpn_view text, cpn_view part)
{
    if (part.n == 0)
        return 0;
    if (part.p < text.p || part.n > text.n || (size_t)(part.p - text.p) > text.n - part.n)
        abort();
    return part.n + 1; /* with the slash in front of it */
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cpn_view text = { bytes, size };
    cpn_resource_id id;
    cpn_err err;
    size_t n;

    if (cpn_resource_id_parse(&id, text, &err) != CPN_OK)
        return 0;
    n = sizeof("/subscriptions") - 1 + inside(text, id.subscription);
    if (id.group.n)
        n += sizeof("/resourceGroups") - 1 + inside(text, id.group);
    if (id.provider.n)
        n += sizeof("/providers") - 1 + inside(text, id.provider) + inside(text, id.type) +
             inside(text, id.name) + inside(text, id.subtype) + inside(text, id.subname);
    if (n != size)
        abort();
    return 0;
}
