/* keeper/settings.h -- acting on CONFIG. */
#ifndef CPN_KEEPER_SETTINGS_H
#define CPN_KEEPER_SETTINGS_H

#include "keeper/state.h"

/* The first time: bind, give up privileges, fix the fence. Afterwards only limits, log_level and
 * fence_deny change; other listen addresses or another user are logged and ignored. On failure of
 * the first one the gateway must not go on. */
cpn_rc cpn_keeper_configure(cpn_keeper *k, const cpn_msg_CONFIG *m, cpn_err *err) CPN_MUST_CHECK;

#endif
