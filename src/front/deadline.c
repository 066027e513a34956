/* One ticking timer walks the deadlines that are set: there are few, since relays have none. */
#include "front/deadline.h"

#include <stdlib.h>

struct cpn_deadlines {
    cpn_loop *loop;
    uv_timer_t tick;
    cpn_deadline list; /* the ring's head */
};

static void
ring_init(cpn_deadline *head)
{
    head->next = head->prev = head;
}

static void
ring_put(cpn_deadline *head, cpn_deadline *d)
{
    d->prev = head->prev;
    d->next = head;
    head->prev->next = d;
    head->prev = d;
}

static void
ring_drop(cpn_deadline *d)
{
    d->prev->next = d->next;
    d->next->prev = d->prev;
    d->next = d->prev = NULL;
}

/* Those that are due move to a ring of their own first: a callback may clear any deadline, and one
 * that it sets anew waits for the next tick. */
static void
tick(uv_timer_t *timer)
{
    cpn_deadlines *all = timer->data;
    uint64_t now = cpn_loop_now_ms(all->loop);
    cpn_deadline due;

    ring_init(&due);
    for (cpn_deadline *d = all->list.next, *next; d != &all->list; d = next) {
        next = d->next;
        if (d->at_ms > now)
            continue;
        ring_drop(d);
        ring_put(&due, d);
    }
    while (due.next != &due) {
        cpn_deadline *d = due.next;

        ring_drop(d);
        d->in = NULL;
        d->fn(d);
    }
    if (all->list.next == &all->list)
        uv_timer_stop(&all->tick);
}

cpn_deadlines *
cpn_deadlines_new(cpn_loop *loop)
{
    cpn_deadlines *all = cpn_xcalloc(1, sizeof(*all));

    all->loop = loop;
    ring_init(&all->list);
    uv_timer_init(cpn_loop_uv(loop), &all->tick);
    all->tick.data = all;
    return all;
}

static void
closed(uv_handle_t *timer)
{
    free(timer->data);
}

void
cpn_deadlines_free(cpn_deadlines *all)
{
    if (all)
        uv_close((uv_handle_t *)&all->tick, closed);
}

void
cpn_deadline_set(cpn_deadlines *all, cpn_deadline *d, uint64_t ms)
{
    cpn_deadline_clear(d);
    d->in = all;
    d->at_ms = cpn_loop_now_ms(all->loop) + ms;
    ring_put(&all->list, d);
    if (!uv_is_active((uv_handle_t *)&all->tick))
        uv_timer_start(&all->tick, tick, CPN_DEADLINE_TICK_MS, CPN_DEADLINE_TICK_MS);
}

void
cpn_deadline_clear(cpn_deadline *d)
{
    if (!d->in)
        return;
    ring_drop(d);
    d->in = NULL;
}
