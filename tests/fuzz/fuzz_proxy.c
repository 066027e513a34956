/* A hostile proxy's answer; a name and a NO_PROXY list that may hold anything. */
#include <stdlib.h>

#include "net/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* A prefix of what is accepted waits; what follows the head does not matter. */
static void
prefixes_wait(cpn_view in, const cpn_proxy_answer *whole)
{
    cpn_proxy_answer a;

    if (whole->status < 200 || whole->used > in.n || whole->used > CPN_PROXY_HEAD_MAX)
        abort();
    for (size_t n = 0; n < whole->used; n += 1 + whole->used / 8)
        if (cpn_proxy_answer_parse((cpn_view){ in.p, n }, &a, NULL) != CPN_AGAIN)
            abort();
}

/* What was read can be asked with, in printable lines. */
static void
name_is_usable(cpn_view in)
{
    cpn_buf out = { .max = 16384 };
    cpn_proxy p;

    if (cpn_proxy_parse(&p, in, NULL) == CPN_OK) {
        if (!p.url.host[0] || cpn_proxy_connect_put(&out, &p, p.url.host, p.url.port) != CPN_OK)
            abort();
        for (size_t i = 0; i < out.n; i++)
            if (out.p[i] != '\r' && out.p[i] != '\n' && (out.p[i] < 0x20 || out.p[i] > 0x7e))
                abort();
    }
    cpn_buf_fini(&out);
    cpn_proxy_wipe(&p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cpn_view in = { bytes, size };
    cpn_proxy_answer a;
    cpn_rc rc = cpn_proxy_answer_parse(in, &a, NULL);

    if (rc == CPN_OK)
        prefixes_wait(in, &a);
    else if (rc != CPN_AGAIN && rc != CPN_E_PROTO)
        abort();
    name_is_usable(in);
    (void)cpn_proxy_spared(in, "gw.example.org", 443);
    (void)cpn_proxy_spared(in, "10.0.0.1", 443);
    (void)cpn_proxy_spared(in, "::1", 443);
    return 0;
}
