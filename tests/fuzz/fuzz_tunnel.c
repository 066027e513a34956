/* A hostile carrier: any bytes as a message; and any order of events for a stream's arithmetic. */
#include <stdlib.h>

#include "codec/flow.h"
#include "codec/tunnel.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* What is accepted is written back to the same bytes. */
static void
message_round_trip(cpn_view message)
{
    cpn_buf out = { .max = CPN_TUNNEL_MESSAGE_MAX };
    cpn_tunnel_frame f;
    cpn_rc rc;

    if (cpn_tunnel_parse(message, &f, NULL) != CPN_OK)
        return;
    rc = f.type == CPN_TUNNEL_OPEN ? cpn_tunnel_put_open(&out, &f, NULL)
                                   : cpn_tunnel_put(&out, &f, NULL);
    if (rc != CPN_OK || !cpn_view_eq(cpn_buf_view(&out), message))
        abort();
    cpn_buf_fini(&out);
}

static void
flow_event(cpn_flow *f, unsigned event, uint64_t n)
{
    uint64_t told = 0, before = f->recv_limit;
    cpn_flow_pace pace;
    cpn_rc rc = CPN_OK;

    switch (event % 10) {
    case 0:
        rc = cpn_flow_on_data(f, f->received, n, NULL);
        break;
    case 1:
        rc = cpn_flow_on_data(f, n, 1, NULL);
        break;
    case 2:
        rc = cpn_flow_on_fin(f, n % 3 ? f->received : n, NULL);
        break;
    case 3:
        rc = cpn_flow_on_credit(f, n, NULL);
        break;
    case 4:
        rc = cpn_flow_on_ack(f, n, NULL);
        break;
    case 5:
        cpn_flow_delivered(f, n);
        break;
    case 6:
    case 7:
        pace = (cpn_flow_pace){ event % 10 == 6, n, (int)(n >> 16), n << 3 };
        if (cpn_flow_grant(f, &pace, &told) && (told <= before || f->fin_received))
            abort();
        break;
    case 8:
        if (cpn_flow_ack(f, &told) && told != f->delivered)
            abort();
        break;
    case 9:
        cpn_flow_sent(f, n);
        break;
    }
    if (rc != CPN_OK && rc != CPN_E_PROTO)
        abort();
}

static void
flow_holds(const cpn_flow *f)
{
    if (f->delivered > f->received || f->received > f->recv_limit || f->ack_told > f->delivered ||
        f->acked > f->sent || f->sent > f->send_limit || f->window > f->window_max ||
        f->recv_limit > CPN_TUNNEL_OFFSET_MAX || f->recv_limit - f->delivered > f->window_max)
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cpn_flow f;

    message_round_trip((cpn_view){ bytes, size });
    cpn_flow_init(&f, size ? (uint64_t)bytes[0] << 16 : 0);
    for (size_t i = 1; i < size && size - i >= 9; i += 9) {
        uint64_t n;
        memcpy(&n, bytes + i + 1, sizeof(n));
        flow_event(&f, bytes[i], bytes[i] & 0x80 ? n : n & 0x1ffff);
        flow_holds(&f);
    }
    return 0;
}
