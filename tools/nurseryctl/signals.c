// SPDX-License-Identifier: GPL-2.0-only
/*
 * Being asked to stop: SIGINT, SIGTERM and SIGHUP become readable on a file,
 * to be waited for together with the children's records. So a signal never
 * interrupts anything, and none can be missed between a check and a wait.
 * SIGQUIT is left alone: the way out for those who do not want to wait.
 */
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "nurseryctl.h"

int signals_catch(void)
{
	struct sigaction hangup;
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaction(SIGHUP, NULL, &hangup);
	if (hangup.sa_handler != SIG_IGN)	/* nohup */
		sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);

	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		die(EXIT_USAGE, "cannot wait for signals: %s", strerror(errno));
	return fd;
}

/* The signal that has come, or 0. */
int signals_take(int fd)
{
	struct signalfd_siginfo info;

	return read(fd, &info, sizeof(info)) == sizeof(info) ? (int)info.ssi_signo : 0;
}
