/* keeper/state.h -- everything keeper holds; private to src/keeper. */
#ifndef CPN_KEEPER_STATE_H
#define CPN_KEEPER_STATE_H

#include "ipc/ipc.h"
#include "keeper/dial.h"
#include "keeper/keeper.h"
#include "keeper/kept.h"
#include "keeper/listen.h"
#include "keeper/restart.h"

typedef struct cpn_keeper cpn_keeper;

typedef struct cpn_keeper_front {
    cpn_keeper *keeper;
    uint32_t number; /* 1..64, the same after a restart */
    pid_t pid;       /* 0: not running */
    int news;        /* our end of the one-way socket */
    int tally;
    cpn_restarts restarts;
    uv_timer_t again;
} cpn_keeper_front;

typedef struct cpn_keeper_control {
    pid_t pid;
    cpn_channel *channel;
    bool configured; /* this process has sent CONFIG */
    cpn_restarts restarts;
    uv_timer_t again; /* start it again, or kill one that closed its channel and stays */
} cpn_keeper_control;

struct cpn_keeper {
    uv_loop_t loop;
    uv_signal_t signals[4];
    uv_timer_t drain;
    const char *config_path;
    int exe;
    int ready_fd;
    cpn_listener_set listen;
    cpn_listener_set admin;
    char listen_text[1024];
    char admin_text[256];
    char wanted[1024]; /* listen, admin_listen and user of the first CONFIG: they stay */
    cpn_fence fence;
    cpn_dialer *dialer;
    cpn_kept *kept;
    cpn_keeper_control control;
    cpn_keeper_front fronts[CPN_FRONTS_MAX];
    size_t fronts_n;
    uint32_t drain_ms;
    bool log_json;
    bool configured; /* some control has configured us */
    bool ready;      /* readiness was reported */
    bool stopping;
    int status;
};

/* supervise.c */
void cpn_keeper_start_control(cpn_keeper *k);
/* Control has just configured us: give it the living fronts; unless we stop, start the missing. */
void cpn_keeper_offer_fronts(cpn_keeper *k);
/* Collect children that ended. */
void cpn_keeper_reap(cpn_keeper *k);
/* Control broke the rules, or does not read: the supervisor starts another. */
void cpn_keeper_kill_control(cpn_keeper *k, const char *why);
/* It closed its channel: it is given a moment to exit. */
void cpn_keeper_control_left(cpn_keeper *k);
void cpn_keeper_kill_front(cpn_keeper *k, uint32_t number);
/* Kill everything and leave the loop with this status. */
void cpn_keeper_finish(cpn_keeper *k, int status);

/* keeper.c */
extern const cpn_channel_handler cpn_keeper_channel_handler;
/* To control; without control it is dropped, a full channel costs control its life. fd is taken. */
void cpn_keeper_tell(cpn_keeper *k, const cpn_msg *msg, CPN_TAKES int fd);

#endif
