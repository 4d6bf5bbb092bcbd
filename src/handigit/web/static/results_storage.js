// Results of this tab, kept in sessionStorage so that they survive a reload. Pictures come from the server again.

const STORAGE_KEY = "handigit-results";
const MAX_READINGS = 500;

/** Save pages whose readings the server has stored. */
export function saveResults(pages) {
  const stored = pages.map(({ file: { name, type }, number, readings }) => ({ name, type, number, readings: readings.filter(({ id }) => id).map(slim) }));
  const kept = stored.filter(({ readings }) => readings.length);
  const total = kept.reduce((sum, { readings }) => sum + readings.length, 0);
  try {
    if (total && total <= MAX_READINGS) sessionStorage.setItem(STORAGE_KEY, JSON.stringify(kept));
    else sessionStorage.removeItem(STORAGE_KEY);
  } catch {
    sessionStorage.removeItem(STORAGE_KEY); // storage is full or disabled: results live until the reload
  }
}

/** The pages as `saveResults` got them; an empty list without any. */
export function restoreResults() {
  try {
    return JSON.parse(sessionStorage.getItem(STORAGE_KEY)) ?? [];
  } catch {
    return [];
  }
}

const slim = ({ key, digits, ...reading }) => reading;
