/* keeper/keeper.h -- the role that outlives the others: listening sockets, target sockets,
 * dials behind the address fence, and the supervision of control and fronts.
 *
 * It reads nothing but control's fixed-size messages, never a byte from a front, and no file. */
#ifndef CPN_KEEPER_KEEPER_H
#define CPN_KEEPER_KEEPER_H

#include "ipc/role.h"

/* Runs until control has ended after SIGTERM (0), or never came up (its own exit status). */
int cpn_keeper_main(const cpn_role_args *args);

#endif
