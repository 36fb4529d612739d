/// Bounds of the administrator's interface.
public struct AdminLimits: Sendable {
    /// Bytes of a JSON request: a list of every store of a large chain fits ten times.
    public var requestBytesMax = 4 * 1024 * 1024
    /// Bytes of a request with a job file: a file of the greatest length, every byte of it escaped.
    public var jobFileBytesMax = 8 * 1024 * 1024
    /// Bytes of one uploaded file. A price file of a million rows has 60 MB; HQ's disk is the real bound.
    public var fileBytesMax: Int64 = 8 * 1024 * 1024 * 1024
    /// Files of one import: HQ has some twenty tables.
    public var filesMax = 100
    /// Imports that are open at a time. Somebody who needs more has forgotten to close them.
    public var importsMax = 8
    /// Milliseconds after which an import that nobody has touched is thrown away: its administrator has gone.
    public var importIdleMilliseconds: Int64 = 60 * 60 * 1000

    /// Connections at a time, on the Unix-domain socket and on TCP each; further ones wait in the system's queue.
    public var connectionsMax = 128
    /// Seconds in which a connection must have sent the head of a request, and may be silent between two of them.
    public var idleSeconds: Int64 = 30
    /// Seconds in which a JSON body must be there, whole.
    public var bodySeconds: Int64 = 60
    /// Bytes of a request's head: names of stores and sessions are short.
    public var headBytesMax = 32 * 1024

    public init() {}
}
