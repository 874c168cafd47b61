"""A folder as Linux shows FAT: times to two seconds, no links, one mode for all. Usage: fat-like.py FOLDER MOUNTPOINT"""
import errno
import os
import stat
import sys

import fusepy

EVERYTHING = 0o755


class FatLike(fusepy.Operations):
    def __init__(self, root):
        self.root = os.path.realpath(root)

    def real(self, path):
        return os.path.join(self.root, path.lstrip('/'))

    def getattr(self, path, fh=None):
        found = os.lstat(self.real(path))
        keys = ('st_atime', 'st_ctime', 'st_mtime', 'st_nlink', 'st_size', 'st_uid', 'st_gid', 'st_blocks')
        shown = {key: getattr(found, key) for key in keys}
        shown['st_mode'] = stat.S_IFMT(found.st_mode) | EVERYTHING
        shown['st_mtime'] = shown['st_mtime'] // 2 * 2
        return shown

    def chmod(self, path, mode):
        # As the kernel's driver: ordinary bits are taken and forgotten.
        if mode & 0o7000:
            raise fusepy.FuseOSError(errno.EPERM)

    def chown(self, path, uid, gid):
        found = os.lstat(self.real(path))
        if uid not in (-1, 0xFFFFFFFF, found.st_uid) or gid not in (-1, 0xFFFFFFFF, found.st_gid):
            raise fusepy.FuseOSError(errno.EPERM)

    def utimens(self, path, times=None):
        atime, mtime = times if times is not None else (None, None)
        if mtime is None:
            os.utime(self.real(path))
        else:
            os.utime(self.real(path), (atime, mtime // 2 * 2))

    def link(self, target, source):
        raise fusepy.FuseOSError(errno.EPERM)

    def symlink(self, target, source):
        raise fusepy.FuseOSError(errno.EPERM)

    def readdir(self, path, fh):
        return ['.', '..'] + os.listdir(self.real(path))

    def mkdir(self, path, mode):
        os.mkdir(self.real(path), 0o700)

    def rmdir(self, path):
        os.rmdir(self.real(path))

    def unlink(self, path):
        os.unlink(self.real(path))

    def rename(self, old, new):
        os.rename(self.real(old), self.real(new))

    def create(self, path, mode, fi=None):
        return os.open(self.real(path), os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)

    def open(self, path, flags):
        return os.open(self.real(path), flags & ~os.O_NOFOLLOW)

    def read(self, path, size, offset, fh):
        return os.pread(fh, size, offset)

    def write(self, path, data, offset, fh):
        return os.pwrite(fh, data, offset)

    def truncate(self, path, length, fh=None):
        os.truncate(self.real(path), length)

    def release(self, path, fh):
        os.close(fh)

    def fsync(self, path, datasync, fh):
        os.fsync(fh)

    def statfs(self, path):
        found = os.statvfs(self.root)
        keys = ('f_bavail', 'f_bfree', 'f_blocks', 'f_bsize', 'f_files', 'f_ffree', 'f_frsize', 'f_namemax')
        return {key: getattr(found, key) for key in keys}


fusepy.FUSE(FatLike(sys.argv[1]), sys.argv[2], foreground=False, nothreads=True, attr_timeout=0, entry_timeout=0)
