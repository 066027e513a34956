/* policy/role.h -- roles: sets of actions. Others than src/policy only show them (snapshot.h).
 *
 * A pattern's '*' stands for any run of bytes, also across '/'; letters compare without case. A
 * role allows an action that one of its patterns matches and none of not_actions does. Actions of
 * management and of data (the two VM logins) are apart, as in Azure: Owner's "*" is no login. */
#ifndef CPN_POLICY_ROLE_H
#define CPN_POLICY_ROLE_H

#include "base/mem.h"
#include "base/view.h"

#define CPN_ACTION_MAX 256       /* bytes of a pattern */
#define CPN_ROLE_ACTIONS_MAX 256 /* patterns in each list */
#define CPN_ROLE_NAME_MAX 128
#define CPN_DESCRIPTION_MAX 1024 /* bytes, of an assignment */

typedef enum cpn_plane { CPN_PLANE_CONTROL, CPN_PLANE_DATA } cpn_plane;

/* The lists end with NULL; a list that is NULL is empty. */
typedef struct cpn_role_def {
    const char *name;
    const char *guid; /* lower case; of a custom role, the id's last segment */
    const char *const *actions;
    const char *const *not_actions;
    const char *const *data_actions;
} cpn_role_def;

#define CPN_BUILTIN_ROLES_N 5
extern const cpn_role_def cpn_builtin_roles[CPN_BUILTIN_ROLES_N];

bool cpn_role_allows(const cpn_role_def *r, cpn_plane plane, const char *action);
/* Letters, digits, and . * / _ - only; 1..CPN_ACTION_MAX bytes. */
bool cpn_action_pattern_ok(const char *pattern);

#endif
