import { useEffect, useState } from 'react';
import { useFiles } from '../files.ts';

/** The URL of a file in memory, as long as the component is displayed. */
export function useObjectUrl(file: Blob | undefined): string | undefined {
  const [url, setUrl] = useState<string>();
  useEffect(() => {
    if (!file) {
      setUrl(undefined);
      return;
    }
    const created = URL.createObjectURL(file);
    setUrl(created);
    return () => URL.revokeObjectURL(created);
  }, [file]);
  return url;
}

/** The content of a file on its way. */
export function useUploadFile(id: string | undefined): Blob | undefined {
  const files = useFiles();
  const [file, setFile] = useState<Blob>();
  useEffect(() => {
    if (id === undefined || !files) return;
    let isCurrent = true;
    void files.file(id).then((found) => {
      if (isCurrent) setFile(found);
    });
    return () => {
      isCurrent = false;
    };
  }, [files, id]);
  return file;
}
