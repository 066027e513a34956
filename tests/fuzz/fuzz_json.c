/* What strict JSON accepts, it writes in one form, and that form reads back as itself; an audit
 * record made of it follows from the chain's head. */
#include <assert.h>

#include "codec/chain.h"
#include "codec/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* What the chain takes as canonical is what JSON writes: the record is canonical and follows. */
static void
is_linked(cpn_view body)
{
    cpn_buf record = { .max = 1 << 20 }, again = { .max = 1 << 20 };
    cpn_chain_head head = { 0 }, check = { 0 };
    json_t *r = NULL;

    if (cpn_chain_link(&head, body, &record, NULL) == CPN_OK) {
        assert(cpn_chain_check(&check, cpn_buf_view(&record), head.hash, NULL) == CPN_OK);
        assert(check.seq == 1);
        assert(cpn_json_load(&r, cpn_buf_view(&record), 1 << 20, 8, NULL) == CPN_OK);
        assert(cpn_json_dump_canonical(r, &again) == CPN_OK);
        assert(cpn_view_eq(cpn_buf_view(&record), cpn_buf_view(&again)));
    }
    json_decref(r);
    cpn_buf_fini(&record);
    cpn_buf_fini(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cpn_view in = { bytes, size };
    cpn_buf first = { .max = 1 << 20 }, again = { .max = 1 << 20 };
    json_t *a = NULL, *b = NULL;

    if (cpn_json_load(&a, in, 4096, 8, NULL) == CPN_OK) {
        assert(cpn_json_dump_canonical(a, &first) == CPN_OK);
        assert(cpn_json_load(&b, cpn_buf_view(&first), 1 << 20, 8, NULL) == CPN_OK);
        assert(cpn_json_dump_canonical(b, &again) == CPN_OK);
        assert(cpn_view_eq(cpn_buf_view(&first), cpn_buf_view(&again)));
        is_linked(cpn_buf_view(&first));
    }
    is_linked(in);
    json_decref(a);
    json_decref(b);
    cpn_buf_fini(&first);
    cpn_buf_fini(&again);
    return 0;
}
