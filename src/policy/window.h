/* policy/window.h -- hours of the week, UTC, in which an assignment holds. Internal to src/policy.
 *
 * {"days": ["mon", …], "from": "08:00", "to": "18:00"}: days left out means every day; from is the
 * first minute inside, to the first one outside ("24:00" is midnight's end). from after to crosses
 * midnight and belongs to the day on which it starts. */
#ifndef CPN_POLICY_WINDOW_H
#define CPN_POLICY_WINDOW_H

#include "policy/shape.h"

typedef struct cpn_window {
    bool limited;      /* false: always open */
    uint8_t days;      /* bit 0: Monday */
    uint16_t from_min; /* of the day */
    uint16_t to_min;
} cpn_window;

cpn_rc cpn_window_read(cpn_window *out, const cpn_shape *s, const char *path,
                       const json_t *value) CPN_MUST_CHECK;
bool cpn_window_open(const cpn_window *w, int64_t now_s);

#endif
