/* Tables of 98 KB that CCITT's codes are decoded with, made at the start by what upstream makes
 * tif_fax3sm.c with. */
#define main WriteTables
#include "mkg3states.c"

extern const TIFFFaxTabEnt TIFFFaxMainTable[] __attribute__((alias("MainTable")));
extern const TIFFFaxTabEnt TIFFFaxWhiteTable[] __attribute__((alias("WhiteTable")));
extern const TIFFFaxTabEnt TIFFFaxBlackTable[] __attribute__((alias("BlackTable")));

/* As WriteTables() does before it writes. */
static __attribute__((constructor)) void MakeTables(void) {
  FillTable(MainTable, 7, Pass, S_Pass);
  FillTable(MainTable, 7, Horiz, S_Horiz);
  FillTable(MainTable, 7, V0, S_V0);
  FillTable(MainTable, 7, VR, S_VR);
  FillTable(MainTable, 7, VL, S_VL);
  FillTable(MainTable, 7, Ext, S_Ext);
  FillTable(MainTable, 7, EOLV, S_EOL);
  FillTable(WhiteTable, 12, MakeUpW, S_MakeUpW);
  FillTable(WhiteTable, 12, MakeUp, S_MakeUp);
  FillTable(WhiteTable, 12, TermW, S_TermW);
  FillTable(WhiteTable, 12, EOLH, S_EOL);
  FillTable(BlackTable, 13, MakeUpB, S_MakeUpB);
  FillTable(BlackTable, 13, MakeUp, S_MakeUp);
  FillTable(BlackTable, 13, TermB, S_TermB);
  FillTable(BlackTable, 13, EOLH, S_EOL);
}
