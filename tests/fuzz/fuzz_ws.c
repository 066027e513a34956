/* A hostile WebSocket client, with libwslay's server as the oracle: frame by frame both see the
 * same, and both stop at the same frame, but for the differences named below. */
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

#include "codec/ws.h"
#include "codec/wsupgrade.h"

#define FRAMES_MAX 256
#define MESSAGE_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

typedef struct frame {
    uint8_t op;
    bool fin;
    uint64_t n;
    uint64_t sum; /* of the unmasked payload */
} frame;

typedef struct seen {
    frame frame[FRAMES_MAX];
    size_t frames; /* whole ones, payload included */
    bool refused;
    bool excused; /* we stopped for a reason that the oracle does not share, or the reverse */
    cpn_view left;
} seen;

static uint64_t
sum_add(uint64_t sum, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sum = (sum ^ p[i]) * 0x100000001b3ull;
    return sum;
}

/* One frame of ours; false: stop. */
static bool
ours_next(seen *s, cpn_ws_message *m)
{
    static uint8_t payload[MESSAGE_MAX];
    cpn_ws_head h;
    cpn_view reason;
    unsigned code;
    size_t cut;
    cpn_rc rc = cpn_ws_head_parse(s->left, CPN_WS_SERVER, MESSAGE_MAX, &h, NULL);

    if (rc == CPN_OK)
        rc = cpn_ws_step(m, &h, MESSAGE_MAX, NULL);
    s->refused = rc != CPN_OK && rc != CPN_AGAIN;
    /* The oracle checks a text's UTF-8 as it comes; we refuse texts as a whole, further up. */
    s->excused = rc == CPN_OK && m->op == CPN_WS_TEXT;
    if (s->refused && s->left.n > 1 && s->left.p[0] == 0x88 && (s->left.p[1] & 0x7f) == 1)
        s->excused = true; /* it takes a close of one byte */
    if (rc == CPN_OK && h.n > s->left.n - h.used) {
        s->excused = s->excused || h.op == CPN_WS_CLOSE; /* it reads the code of half a frame */
        return false;
    }
    if (rc != CPN_OK || s->excused)
        return false;
    memcpy(payload, s->left.p + h.used, (size_t)h.n);
    cut = (size_t)h.n / 3;
    cpn_ws_mask(payload, cut, h.key, 0);
    cpn_ws_mask(payload + cut, (size_t)h.n - cut, h.key, cut);
    if (h.op == CPN_WS_CLOSE) {
        s->refused = cpn_ws_close_parse((cpn_view){ payload, (size_t)h.n }, &code, &reason, NULL);
        s->excused = !s->refused && code >= 1012 && code <= 1014; /* newer than wslay */
    }
    if (s->refused || s->excused || s->frames >= FRAMES_MAX)
        return false;
    s->frame[s->frames++] = (frame){ (uint8_t)h.op, h.fin, h.n, sum_add(0, payload, (size_t)h.n) };
    s->left = cpn_view_skip(s->left, h.used + (size_t)h.n);
    return h.op != CPN_WS_CLOSE;
}

static ssize_t
recv_cb(wslay_event_context_ptr ctx, uint8_t *buf, size_t len, int flags, void *user)
{
    seen *s = user;
    size_t n = CPN_MIN(len, s->left.n);

    (void)flags;
    if (n == 0) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(buf, s->left.p, n);
    s->left = cpn_view_skip(s->left, n);
    return (ssize_t)n;
}

static void
start_cb(wslay_event_context_ptr ctx, const struct wslay_event_on_frame_recv_start_arg *arg,
         void *user)
{
    seen *s = user;

    (void)ctx;
    if (s->frames < FRAMES_MAX)
        s->frame[s->frames] = (frame){ arg->opcode, arg->fin != 0, arg->payload_length, 0 };
}

static void
chunk_cb(wslay_event_context_ptr ctx, const struct wslay_event_on_frame_recv_chunk_arg *arg,
         void *user)
{
    seen *s = user;

    (void)ctx;
    if (s->frames < FRAMES_MAX)
        s->frame[s->frames].sum = sum_add(s->frame[s->frames].sum, arg->data, arg->data_length);
}

static void
end_cb(wslay_event_context_ptr ctx, void *user)
{
    seen *s = user;

    (void)ctx;
    s->frames += s->frames < FRAMES_MAX;
}

static void
theirs(seen *s)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = recv_cb,
        .on_frame_recv_start_callback = start_cb,
        .on_frame_recv_chunk_callback = chunk_cb,
        .on_frame_recv_end_callback = end_cb,
    };
    wslay_event_context_ptr ctx;

    if (wslay_event_context_server_init(&ctx, &callbacks, s) != 0)
        abort();
    wslay_event_config_set_max_recv_msg_length(ctx, MESSAGE_MAX);
    wslay_event_config_set_no_buffering(ctx, 0);
    s->refused = wslay_event_recv(ctx) != 0;
    s->refused =
        s->refused || (!wslay_event_get_read_enabled(ctx) && !wslay_event_get_close_received(ctx));
    wslay_event_context_free(ctx);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static seen a, b;
    cpn_ws_message m = { 0 };

    memset(&a, 0, sizeof(a));
    memset(&b, 0, sizeof(b));
    a.left = b.left = (cpn_view){ bytes, size };
    while (ours_next(&a, &m))
        ;
    theirs(&b);
    for (size_t i = 0; i < CPN_MIN(a.frames, b.frames); i++)
        if (a.frame[i].op != b.frame[i].op || a.frame[i].fin != b.frame[i].fin ||
            a.frame[i].n != b.frame[i].n || a.frame[i].sum != b.frame[i].sum)
            abort();
    if (a.excused || a.frames >= FRAMES_MAX)
        return 0;
    /* It counts a close frame before it looks at its code; and we may refuse a frame by its first
     * two bytes, where it waits. */
    if (a.frames > b.frames || (b.refused && !a.refused) || (b.frames > a.frames && !b.refused))
        abort();
    return 0;
}
