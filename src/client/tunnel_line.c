/* Shows sessions, bytes and rate as one line at the bottom of a terminal, redrawn only while
 * something changes. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/printable.h"
#include "client/tunnel_impl.h"

#define TICK_MS 250
#define COLUMNS_MAX 160
#define COLUMNS_UNKNOWN 80

/* Never wait for a terminal that somebody has stopped; a line more or less does not matter. */
static bool
put(cpn_view text)
{
    struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

    return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) &&
           write(STDERR_FILENO, text.p, text.n) == (ssize_t)text.n;
}

static void
erase(void *arg)
{
    cpn_tunnel *t = arg;

    if (t->line.shown && put(CPN_VIEW_LIT("\r\033[K"))) {
        t->line.shown = false;
        t->line.dirty = true;
    }
}

static unsigned
columns(void)
{
    struct winsize w = { 0 };

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) < 0 || w.ws_col == 0)
        return COLUMNS_UNKNOWN - 1;
    return CPN_MIN(w.ws_col, COLUMNS_MAX) - 1u; /* the last column would wrap */
}

static void
draw(cpn_tunnel *t, const cpn_tunnel_counts *now)
{
    char text[COLUMNS_MAX + 8] = "\r";
    size_t n;

    t->line.drawn = *now;
    t->line.dirty = false;
    cpn_meter_note(&t->line.meter, uv_now(&t->uv), now->up, now->down);
    /* In the background the terminal is somebody else's. */
    if (tcgetpgrp(STDERR_FILENO) != getpgrp())
        return;
    n = 1 + cpn_meter_line(&t->line.meter, now->sessions, columns(), text + 1, COLUMNS_MAX);
    memcpy(text + n, "\033[K", 4);
    t->line.shown = put((cpn_view){ (const uint8_t *)text, n + 3 }) || t->line.shown;
}

static bool
changed(const cpn_tunnel *t, const cpn_tunnel_counts *now)
{
    return now->up != t->line.drawn.up || now->down != t->line.drawn.down ||
           now->sessions != t->line.drawn.sessions || t->line.dirty;
}

/* Goes on until the rate has come down to nothing. */
static void
on_tick(uv_timer_t *timer)
{
    cpn_tunnel *t = timer->data;
    cpn_tunnel_counts now = cpn_tunnel_count(t);

    t->line.quiet = changed(t, &now) ? 0 : t->line.quiet + 1;
    if (t->line.quiet > CPN_METER_SAMPLES)
        uv_timer_stop(timer);
    else
        draw(t, &now);
}

/* Before the loop waits: has anything changed while nobody looked? */
static void
on_prepare(uv_prepare_t *prepare)
{
    cpn_tunnel *t = prepare->data;
    cpn_tunnel_counts now;

    if (t->stopping || uv_is_active((uv_handle_t *)&t->line.tick))
        return;
    now = cpn_tunnel_count(t);
    if (!changed(t, &now))
        return;
    t->line.quiet = 0;
    t->line.meter = (cpn_meter){ 0 };
    cpn_meter_note(&t->line.meter, uv_now(&t->uv), t->line.drawn.up, t->line.drawn.down);
    uv_timer_start(&t->line.tick, on_tick, TICK_MS, TICK_MS);
}

static bool
is_wanted(const cpn_tunnel *t)
{
    const char *term = getenv("TERM");

    return t->plan->line && term && term[0] && strcmp(term, "dumb") != 0 && isatty(STDERR_FILENO);
}

void
cpn_tunnel_line_start(cpn_tunnel *t)
{
    if (!is_wanted(t))
        return;
    t->line.on = true;
    t->line.tick.data = t->line.prepare.data = t;
    uv_timer_init(&t->uv, &t->line.tick);
    uv_prepare_init(&t->uv, &t->line.prepare);
    uv_prepare_start(&t->line.prepare, on_prepare);
    cpn_say_before(erase, t);
}

void
cpn_tunnel_line_stop(cpn_tunnel *t)
{
    if (!t->line.on)
        return;
    uv_prepare_stop(&t->line.prepare);
    uv_timer_stop(&t->line.tick);
    erase(t);
    cpn_say_before(NULL, NULL);
    t->line.on = false;
}
