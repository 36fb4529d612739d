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

    public init() {}
}
