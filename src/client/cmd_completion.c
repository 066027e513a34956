/* caponier completion: a script that teaches a shell the commands, their options and the names. */
#include <string.h>

#include "client/cli.h"
#include "client/complete.h"

void
cpn_complete_next(const char *group, void (*say)(const char *word, int n, const cpn_cmd *cmd))
{
    size_t in = strlen(group), last_n = 0;
    const char *last = "";

    for (const cpn_cmd *const *c = cpn_cmds; *c; c++) {
        const char *word = (*c)->name + in + (in > 0);
        size_t n;

        if (((*c)->flags & CPN_CMD_HIDDEN) || strncmp((*c)->name, group, in) != 0 ||
            (in > 0 && (*c)->name[in] != ' '))
            continue;
        n = strcspn(word, " ");
        if (n != last_n || strncmp(word, last, n) != 0)
            say(word, (int)n, word[n] ? NULL : *c);
        last = word;
        last_n = n;
    }
}

bool
cpn_complete_is_command(const char *name)
{
    for (const cpn_cmd *const *c = cpn_cmds; *c; c++)
        if (!((*c)->flags & CPN_CMD_HIDDEN) && strcmp((*c)->name, name) == 0)
            return true;
    return false;
}

void
cpn_complete_groups(void (*say)(const char *group, int n))
{
    const char *last = "";

    for (const cpn_cmd *const *c = cpn_cmds; *c; c++) {
        for (const char *p = strchr((*c)->name, ' '); p; p = strchr(p + 1, ' ')) {
            size_t n = (size_t)(p - (*c)->name);

            if (strncmp(last, (*c)->name, n + 1) != 0)
                say((*c)->name, (int)n);
        }
        last = (*c)->name;
    }
}

static cpn_rc
completion_run(cpn_cli *cli, cpn_err *err)
{
    static const struct {
        const char *shell;
        void (*print)(void);
    } shells[] = { { "bash", cpn_complete_bash },
                   { "zsh", cpn_complete_zsh },
                   { "fish", cpn_complete_fish } };

    for (size_t i = 0; i < CPN_COUNT(shells); i++)
        if (strcmp(cli->args.arg[0], shells[i].shell) == 0) {
            shells[i].print();
            return CPN_OK;
        }
    return cpn_fail(err, CPN_INVALID, "'%s' is none of bash, zsh, fish", cli->args.arg[0]);
}

const cpn_cmd cpn_cmd_completion = {
    .name = "completion",
    .brief = "Print a completion script for a shell",
    .args = "bash|zsh|fish",
    .args_help = "the shell",
    .min_args = 1,
    .max_args = 1,
    .examples =
        (const cpn_example[]){ { "source <(caponier completion bash)", "in ~/.bashrc" }, { 0 } },
    .run = completion_run,
};
