/** What does `run` when it is first called, and nothing afterwards: for whoever may be told twice to give back. */
export function once(run: () => void): () => void {
  let isOver = false;
  return () => {
    if (isOver) return;
    isOver = true;
    run();
  };
}
