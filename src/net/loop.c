/* The end-of-turn queue and the buffers that all connections of a loop share. */
#include "net/loop.h"

#include <stdlib.h>

#include "base/secret.h"

#define MASK_BATCH 1024
#define STALL_MS 30000

struct cpn_loop {
    uv_loop_t *uv;
    cpn_pool *pool;
    uv_check_t check;
    uv_idle_t idle;
    unsigned open_handles;
    cpn_later queue[CPN_LATER_N]; /* list heads */
    unsigned queued;
    cpn_now_fn *now;
    void *now_arg;
    unsigned stall_ms;
    uint64_t typed_ms; /* until then somebody counts as typing */
    uint8_t masks[MASK_BATCH];
    size_t masks_left;
};

static void
list_init(cpn_later *head)
{
    head->next = head->prev = head;
}

static void
list_remove(cpn_later *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
}

static void
list_push(cpn_later *head, cpn_later *l)
{
    l->prev = head->prev;
    l->next = head;
    head->prev->next = l;
    head->prev = l;
}

/* What is queued from here on belongs to the next turn. */
static void
run_kind(cpn_loop *loop, cpn_later_kind kind)
{
    cpn_later *head = &loop->queue[kind], mine;

    list_init(&mine);
    if (head->next != head) {
        mine.next = head->next;
        mine.prev = head->prev;
        mine.next->prev = mine.prev->next = &mine;
        list_init(head);
    }
    while (mine.next != &mine) {
        cpn_later *l = mine.next;

        list_remove(l);
        l->queued = false;
        loop->queued--;
        l->fn(l);
    }
}

static void
end_of_turn(uv_check_t *check)
{
    cpn_loop *loop = check->data;

    for (int kind = 0; kind < CPN_LATER_N; kind++)
        run_kind(loop, (cpn_later_kind)kind);
    if (loop->queued == 0) {
        uv_check_stop(&loop->check);
        uv_idle_stop(&loop->idle);
    }
}

/* Its only purpose is that the loop does not sleep while work is queued. */
static void
stay_awake(uv_idle_t *idle)
{
    (void)idle;
}

cpn_rc
cpn_loop_new(cpn_loop **out, uv_loop_t *uv, cpn_quota *quota, cpn_err *err)
{
    cpn_loop *loop = calloc(1, sizeof(*loop));
    cpn_rc rc;

    if (!loop)
        return cpn_fail(err, CPN_E_NOMEM, "loop");
    if ((rc = cpn_pool_new(&loop->pool, quota, err)) < 0) {
        free(loop);
        return rc;
    }
    loop->uv = uv;
    loop->stall_ms = STALL_MS;
    for (int kind = 0; kind < CPN_LATER_N; kind++)
        list_init(&loop->queue[kind]);
    uv_check_init(uv, &loop->check);
    uv_idle_init(uv, &loop->idle);
    uv_unref((uv_handle_t *)&loop->check);
    loop->check.data = loop->idle.data = loop;
    loop->open_handles = 2;
    *out = loop;
    return CPN_OK;
}

static void
loop_handle_closed(uv_handle_t *h)
{
    cpn_loop *loop = h->data;

    if (--loop->open_handles > 0)
        return;
    cpn_pool_free(loop->pool);
    explicit_bzero(loop->masks, sizeof(loop->masks));
    free(loop);
}

void
cpn_loop_free(cpn_loop *loop)
{
    if (!loop)
        return;
    uv_ref((uv_handle_t *)&loop->check);
    uv_close((uv_handle_t *)&loop->check, loop_handle_closed);
    uv_close((uv_handle_t *)&loop->idle, loop_handle_closed);
}

uv_loop_t *
cpn_loop_uv(cpn_loop *loop)
{
    return loop->uv;
}

cpn_pool *
cpn_loop_pool(cpn_loop *loop)
{
    return loop->pool;
}

uint64_t
cpn_loop_now_ms(cpn_loop *loop)
{
    return loop->now ? loop->now(loop->now_arg) : uv_now(loop->uv);
}

void
cpn_loop_stall(cpn_loop *loop, unsigned ms)
{
    loop->stall_ms = ms;
}

unsigned
cpn_loop_stall_ms(const cpn_loop *loop)
{
    return loop->stall_ms;
}

void
cpn_loop_set_clock(cpn_loop *loop, cpn_now_fn *now, void *arg)
{
    loop->now = now;
    loop->now_arg = arg;
}

void
cpn_loop_later(cpn_loop *loop, cpn_later *l, cpn_later_kind kind)
{
    if (l->queued) {
        if (kind >= l->kind)
            return;
        cpn_loop_not_later(loop, l);
    }
    l->queued = true;
    l->kind = kind;
    list_push(&loop->queue[kind], l);
    if (loop->queued++ == 0) {
        uv_check_start(&loop->check, end_of_turn);
        uv_idle_start(&loop->idle, stay_awake);
    }
}

void
cpn_loop_not_later(cpn_loop *loop, cpn_later *l)
{
    if (!l->queued)
        return;
    list_remove(l);
    l->queued = false;
    loop->queued--;
}

void
cpn_loop_typed(cpn_loop *loop)
{
    loop->typed_ms = cpn_loop_now_ms(loop) + CPN_LOOP_TYPING_MS;
}

bool
cpn_loop_typing(cpn_loop *loop)
{
    return cpn_loop_now_ms(loop) < loop->typed_ms;
}

void
cpn_loop_mask_key(cpn_loop *loop, uint8_t key[4])
{
    if (loop->masks_left == 0) {
        cpn_random(loop->masks, sizeof(loop->masks));
        loop->masks_left = sizeof(loop->masks);
    }
    loop->masks_left -= 4;
    memcpy(key, loop->masks + loop->masks_left, 4);
}
