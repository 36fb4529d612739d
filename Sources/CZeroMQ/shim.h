#ifndef WAYBILL_CZEROMQ_SHIM_H
#define WAYBILL_CZEROMQ_SHIM_H

#include <zmq.h>
#include <errno.h>
/* Glibc's Swift module does not export these. */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <malloc.h>

/* Works at run time on Debian's build although zmq.h lists it under DRAFT. Without it CURVE fails open. */
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

#endif
