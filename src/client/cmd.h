/* client/cmd.h -- what a command is: one file cmd_NAME.c that ends in one of these, and one line in
 * this folder's meson.build.
 *
 * The table of all of them makes --help, usage errors, completions and `caponier help --markdown`;
 * tools/check-docs compares it with the manual pages. */
#ifndef CPN_CLIENT_CMD_H
#define CPN_CLIENT_CMD_H

#include <stdbool.h>

#include "base/err.h"

#define CPN_OPTS_MAX 24 /* options of one command, the common ones included */

typedef struct cpn_cli cpn_cli;

typedef struct cpn_opt {
    const char *name; /* without the dashes; NULL ends a table */
    char letter;      /* 0: none */
    char also;        /* another one, which people know from elsewhere; 0: none */
    const char *arg;  /* name of its value; NULL: a switch */
    const char *def;  /* what holds without it, in words or as the value itself; NULL: nothing */
    const char *help;
    const char *refused; /* a sentence: it is known only to be refused with it */
    const char *names;   /* what its value is, for completion: "machines"; NULL: nothing known */
    bool many;           /* may be given again and again; at most one option of a command */
    bool must;           /* is an error to leave out */
} cpn_opt;

typedef struct cpn_example {
    const char *line; /* NULL ends a table */
    const char *what;
} cpn_example;

/* Which of the common options a command takes. */
enum {
    CPN_CMD_PRINTS = 1, /* -o */
    CPN_CMD_CALLS = 2,  /* --gateway, --ca */
    CPN_CMD_REMOTE = 4, /* the exit status is the remote program's; 255 for everything of ours */
    CPN_CMD_RUNS = 16,  /* as with ssh: the word behind TARGET begins what another program gets */
    CPN_CMD_HIDDEN = 8  /* for programs, not for people: no help and no completion names it */
};

typedef struct cpn_cmd {
    const char *name; /* words: "session list" */
    const char *brief;
    unsigned flags;
    const cpn_opt *opts;   /* NULL: none */
    const char *args;      /* "[TARGET]"; NULL: none */
    const char *args_help; /* one sentence */
    const char *others;    /* where options of the program that it runs go; NULL: it runs none */
    const char *names;     /* what an argument is, for completion: "machines"; NULL: a file */
    unsigned min_args;
    unsigned max_args;
    const cpn_example *examples; /* at least one */
    /* CPN_OK or the code that decides the exit status; err->msg is printed when it is not empty. */
    cpn_rc (*run)(cpn_cli *cli, cpn_err *err);
} cpn_cmd;

/* Every command, in the order of meson.build; ends with NULL. */
extern const cpn_cmd *const cpn_cmds[];

#endif
